"""made_run.py - the directory of a run that never was, with what a test wants to see of it.

    make(place)                              a run of 60 steps, the first 20 of them warm-up
    make(place, steps=10000, warmup=0)       a long one
    make(place, texts={"response": "..."})   texts of ours in the place of the made ones

Writes place/run and place/data.jsonl; settings name them as they are seen from `place`.
"""
import json
import math

CONTEXTS = 6  # of a step
ROUNDS = 4    # of a session
SESSIONS = 30
GROUP = 5

SCORES = ["ave_continue_content", "win_continue_content", "ave_continue_content_if_correct",
          "win_continue_content_if_correct", "ave_continue_decision", "ave_stop_decision",
          "ave_total_decision", "ave_total_format", "ave_total_reward"]
OTHERS = ["actor/pg_loss", "actor/grad_norm", "actor/lr", "actor/tokens", "actor/entropy",
          "actor/kl", "actor/kl_loss", "actor/pg_clipfrac", "actor/ppo_kl", "perf/gflop_forward",
          "perf/peak_rank_mib", "learner/rows", "learner/scored_rows", "prompt_length/mean",
          "prompt_length/max", "prompt_length/min", "response_length/max", "response_length/min",
          "critic/rewards/mean", "critic/rewards/max", "critic/rewards/min", "tree/rows",
          "critic/advantages/mean", "critic/advantages/max", "critic/advantages/min",
          "mismatch/logprob_gap_mean", "mismatch/kl", "mismatch/ratio_mean", "tree/over_trie",
          "tree/independent_over_rows", "rollout/prefill_rows", "rollout/decode_rows"]
TIMES = {"gen": 2, "gen_prefill": 0.5, "gen_decode": 1.25, "reward": 0.25, "update_actor": 1,
         "reference": 0, "forward": 0.25, "vocabulary": 0.125, "backward": 0.5, "optimizer": 0.125,
         "publish": 0.25}


def reward(step, session, round_, repeat):
    """Decision, content and format of a made response."""
    stop = round_ == ROUNDS
    decision = 0 if (step + session + repeat) % 7 == 0 else 1
    if stop or not decision:
        return decision, decision, decision
    return 1, (step + session * 3 + repeat) % 3 / 2, (session + repeat) % 2 / 2 + 0.5


def evaluation(place, name, level):
    values = {score: [level, level - 0.05, level + 0.05, 120] for score in SCORES}
    values["ave_total_reward"] = [4 * level, 4 * level - 0.1, 4 * level + 0.1, 120]
    values.update(rows=120, ungraded=2, failures=1, sessions=12, expert_loss=1.5,
                  expert_tokens=900, response_tokens=17.5, seconds=3.25)
    (place / f"run/evaluation-{name}.json").write_text(json.dumps(values))


def journal(steps, warmup, every):
    for step in range(steps + 1):
        line = {"step": step}
        if step > 0:
            line["stage"] = int(step > warmup)
            line.update({f"timing_s/{key}": value for key, value in TIMES.items()})
            line["perf/time_per_step"] = 3.25
            line.update({name: math.sin(step * (i + 1)) * 10 ** (i % 5)
                         for i, name in enumerate(OTHERS)})
        if step > warmup:
            line.update({"critic/rewards/mean": 4 - 3 * math.exp(-step / steps) + math.sin(step * 1.7) / 5,
                         "reward/decision": 1 - 1 / (step + 1), "reward/content": step / steps,
                         "reward/format": 1, "response_length/mean": 20 + math.cos(step)})
        if step in (0, warmup, steps) or every and step % every == 0:
            line.update({f"val/{name}": 0.25 + step / steps / 2 for name in SCORES})
            line["timing_s/evaluate"] = 1.5
        yield json.dumps(line, separators=(",", ":"))


def sessions(texts):
    """Lines of data.jsonl: every round of every session."""
    for session in range(SESSIONS):
        messages = []
        for round_ in range(1, ROUNDS + 1):
            messages += [{"role": "user", "content": f"Complaint {session}.{round_} "
                          + texts.get("message", "it hurts since Monday. " * 8)}]
            stop = round_ == ROUNDS
            question = {"role": "assistant", "content": f"Where is it, {session}.{round_}?"}
            yield json.dumps({
                "cid": f"{session}_{round_}", "session_id": session,
                "diagn": texts.get("about", "pain"), "messages": messages,
                "remaining_chat": [] if stop else [question, {"role": "user", "content": "Here."}],
                "decision_truth": "stop" if stop else "continue",
                "info_set": [] if stop else [texts.get("fact", "place: left"), "since: Monday"]})
            messages = messages + [question]


def samples(first, last, contexts, texts):
    response = json.dumps(texts.get("response", "Is it worse at night than in the morning?"))
    rest = "".join(f', "{key}": {json.dumps(texts[key])}' for key in ("earlier", "verdict")
                   if key in texts)
    for step in range(first, last + 1):
        for c in range(contexts):
            session, round_ = (step * 5 + c) % SESSIONS, (step + c) % ROUNDS + 1
            truth = "stop" if round_ == ROUNDS else "continue"
            for repeat in range(GROUP):
                a, content, form = reward(step, session, round_, repeat)
                text = '"<stop />"' if (truth == "stop") == (a == 1) else response
                yield (f'{{"step": {step}, "cid": "{session}_{round_}", "repeat": {repeat}, '
                       f'"decision_truth": "{truth}", "response": {text}, '
                       f'"tokens": {10 + (step + repeat) % 9}, "finished": true, "graded": true, '
                       f'"decision": {a}, "content": {content}, "format": {form}, '
                       f'"reward": {a * (1 + 2 * content) + form}, '
                       f'"advantage": {repeat - 2}{rest}}}')


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def make(place, steps=60, warmup=20, every=0, contexts=CONTEXTS, texts=None, settings=""):
    texts = texts or {}
    run = place / "run"
    run.mkdir()
    (run / "run.ini").write_text(
        '[run]\ndirectory = "run"\n[model]\npath = "model"\n[data]\ntrain = "data.jsonl"\n'
        f'[rollout]\ngroup_size = {GROUP}\n[algorithm]\nkl_coefficient = 0\n'
        f'[evaluate]\nfile = "valid.jsonl"\n{settings}', encoding="utf-8")
    (run / "progress").write_text(f"step=0 of={steps} starts=1\n")
    (run / "log.txt").write_text(
        f"learn2ask 0.1.0, made\nmodel      model: Tiny\nstep 1/{steps} reward 1\n"
        f"\nRESULT steps={steps} reward=3.0000 status=ok\n")
    (run / "lock").touch()
    for name, level in (("start", 0.25), ("warm-up", 0.375), ("final", 0.75)):
        evaluation(place, name, level)
    write_lines(run / "metrics.jsonl", journal(steps, warmup, every))
    write_lines(place / "data.jsonl", sessions(texts))
    write_lines(run / "samples.jsonl", samples(warmup + 1, steps, contexts, texts))
    return run
