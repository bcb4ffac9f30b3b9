"""Training data for tiny models that are to answer as an extractor, a judge or a policy with tools.

    asked_data.py lists|verdicts|calls SAMPLES [TOOLS] >OUT

From samples of l2a-clinic: what such a model is asked, and an answer that is of use three times out
of four. A model of 0.3 M parameters learns it in a second or two.
"""
import json
import random
import sys

kind, samples = sys.argv[1:3]
draw = random.Random(7)
LISTS = ["['symptom: cough']", "['symptom: fever', 'symptom location: head']", "[]", "none"]
VERDICTS = [f"<format_score>{a}</format_score><content_score>{b}</content_score>"
            for a in ("1.0", "0.5") for b in ("1.0", "0.5", "0.0")] + ["no verdict", "<format_score>1"]
CALLS = ['<tool_call>\n{"name": "echo", "arguments": {"a": 1}}\n</tool_call>', "Do you have pain?",
         '<tool_call>\n{"name": "find", "arguments": {"query": "cough"}}\n</tool_call>', "Yes."]


def question(sample):
    messages = sample["messages"]
    if kind == "lists":
        lines = [f"{m['role']}: {m['content']}" for m in messages[-3:]]
        return [{"role": "system", "content": "List facts."},
                {"role": "user", "content": "\n".join(lines)}]
    if kind == "verdicts":
        lines = [("patient: " if m["role"] == "user" else "doctor: ") + m["content"] + "\n"
                 for m in messages]
        words = messages[-1]["content"].split() * 3
        draw.shuffle(words)
        lines.append("doctor: " + " ".join(words[:6]) + "\n")
        return [{"role": "system",
                 "content": f"Facts: {sample['info_truth']} <format_score> <content_score>"},
                {"role": "user", "content": "".join(lines)}]
    return messages


answers = {"lists": LISTS, "verdicts": VERDICTS, "calls": CALLS}[kind]
with open(samples, encoding="utf-8") as lines:
    for line in lines:
        sample = json.loads(line)
        if sample["decision_truth"] != "continue":
            continue
        sample["messages"] = question(sample)
        sample["remaining_chat"] = [{"role": "assistant", "content": draw.choice(answers)},
                                    {"role": "user", "content": "ok"}]
        sample["info_set"] = ["x"]
        print(json.dumps(sample))
