#!/usr/bin/env python3
"""Prints our input file from the train.yaml of a Trinity-RFT run of Learn2Ask.

    tools/from_trinity.py train.yaml > my.ini

Values that mean the same are carried over, prompts and file names are for the reader to fill in
(FILL_IN). What has no equivalent is listed at the end, as comments and on standard error; nothing
is left out silently.
"""
import sys

try:
    import yaml
except ImportError:
    sys.exit("error: PyYAML is missing: apt-get install python3-yaml, or pip install pyyaml")

FILL_IN = "FILL_IN"


def number(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def learning_rate(value):
    return f"{float(value):.10g}".replace("e-0", "e-")


def kl(value):
    return {"none": "none", "k1": "k1", "k2": "k2", "k3": "k3", "low_var_kl": "low-variance-k3",
            "abs": "abs"}.get(value, FILL_IN)


def fusion(value):
    return "sum" if value == "sum" else "product"


def flag(value):
    return "yes" if value else "no"


def algorithm(value):
    return {"reinforceplusplus": "reinforce++", "opmd_reweight_adv": "opmd"}.get(str(value), str(value))


# Path in the YAML -> (section, key, conversion). `*` stands for any list index.
KNOWN = {
    "model.model_path": ("model", "path", str),
    "model.max_prompt_tokens": ("data", "max_prompt_tokens", number),
    "model.max_response_tokens": ("rollout", "max_response_tokens", number),
    "algorithm.algorithm_type": ("algorithm", "name", algorithm),
    "algorithm.repeat_times": ("rollout", "group_size", number),
    "algorithm.kl_loss_fn": ("algorithm", "kl_estimator", kl),
    "algorithm.kl_loss_fn_args.kl_coef": ("algorithm", "kl_coefficient", number),
    "algorithm.policy_loss_fn_args.clip_range": ("algorithm", "clip_low", number),
    "algorithm.policy_loss_fn_args.clip_range_low": ("algorithm", "clip_low", number),
    "algorithm.policy_loss_fn_args.clip_range_high": ("algorithm", "clip_high", number),
    "algorithm.optimizer.lr": ("optimizer", "learning_rate", learning_rate),
    "algorithm.optimizer.warmup_style": ("optimizer", "schedule", str),
    "algorithm.optimizer.lr_scheduler_type": ("optimizer", "schedule", str),
    "algorithm.optimizer.lr_warmup_steps": ("optimizer", "warmup_steps", number),
    "algorithm.optimizer.weight_decay": ("optimizer", "weight_decay", number),
    "algorithm.optimizer.min_lr_ratio": ("optimizer", "min_ratio", number),
    "buffer.batch_size": ("train", "batch_contexts", number),
    "buffer.total_epochs": ("train", "epochs", number),
    "buffer.total_steps": ("train", "steps", number),
    "buffer.explorer_input.taskset.path": ("data", "train", str),
    "buffer.explorer_input.taskset.rollout_args.temperature": ("rollout", "temperature", number),
    "buffer.explorer_input.taskset.workflow_args.train_mode": ("reward", "mode", str),
    "buffer.explorer_input.taskset.workflow_args.fusion_mode": ("reward", "fusion", fusion),
    "explorer.auxiliary_models.*.model_path": ("judge", "path", str),
    "explorer.auxiliary_models.*.enable_thinking": ("judge", "thinking", flag),
    "explorer.auxiliary_models.*.max_response_tokens": ("judge", "max_tokens", number),
    "explorer.auxiliary_models.*.max_prompt_tokens": ("judge", "max_prompt_tokens", number),
    "explorer.rollout_model.seed": ("run", "seed", number),
    "explorer.rollout_model.enable_thinking": ("model", "thinking", flag),
    "explorer.rollout_model.dtype": ("model", "compute",
                                     lambda value: "f32" if value == "float32" else "bf16"),
    "explorer.rollout_model.tensor_parallel_size": ("rollout", "tensor_parallel", number),
    "explorer.auxiliary_models.*.tensor_parallel_size": ("judge", "tensor_parallel", number),
    "synchronizer.sync_interval": ("train", "sync_interval", number),
    "synchronizer.sync_offset": ("train", "staleness", number),
    "trainer.save_interval": ("checkpoint", "every", number),
    "trainer.max_checkpoints_to_keep": ("checkpoint", "keep_last", number),
    "trainer.grad_clip": ("optimizer", "max_gradient_norm", number),
    "trainer.max_token_len_per_gpu": ("parallel", "micro_batch_tokens", number),
    "trainer.trainer_config.actor_rollout_ref.actor.grad_clip":
        ("optimizer", "max_gradient_norm", number),
    "trainer.trainer_config.actor_rollout_ref.actor.ppo_max_token_len_per_gpu":
        ("parallel", "micro_batch_tokens", number),
    "trainer.trainer_config.actor_rollout_ref.actor.optim.lr":
        ("optimizer", "learning_rate", learning_rate),
}
# Values that only say what we do anyway: (path, value).
IMPLIED = {("mode", "both"), ("algorithm.advantage_fn", "grpo"), ("algorithm.policy_loss_fn", "ppo"),
           ("algorithm.kl_penalty_fn", "none"), ("trainer.trainer_type", "verl")}
# Read for the numbers of ranks.
RANKS = {"cluster.node_num", "cluster.gpu_per_node", "explorer.rollout_model.engine_num",
         "explorer.auxiliary_models.*.engine_num", "checkpoint_root_dir", "name"}
SECTIONS = ["run", "model", "data", "parallel", "rollout", "reward", "judge", "algorithm",
            "optimizer", "train", "checkpoint"]


def flatten(value, path=""):
    """Every leaf as (path, value); list indices become `*`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for inner in value:
            yield from flatten(inner, path + ".*")
    else:
        yield path, value


def ranks(leaves, settings):
    engines = int(leaves.get("explorer.rollout_model.engine_num", 1))
    judges = int(leaves.get("explorer.auxiliary_models.*.engine_num", 0) or 0)
    rollout = engines * int(leaves.get("explorer.rollout_model.tensor_parallel_size", 1))
    grader = judges * int(leaves.get("explorer.auxiliary_models.*.tensor_parallel_size", 1) or 1)
    gpus = int(leaves.get("cluster.node_num", 1)) * int(leaves.get("cluster.gpu_per_node", 0) or 0)
    learner = gpus - rollout - grader
    parallel = settings.setdefault("parallel", {})
    if learner > 0:
        parallel.update({"placement": "split", "rollout_ranks": rollout, "learner_ranks": learner})
        if grader:
            parallel["grader_ranks"] = grader


def convert(document):
    leaves, settings, unknown = {}, {}, []
    for path, value in flatten(document):
        leaves.setdefault(path, value)
        if path in KNOWN and value is not None:
            section, key, conversion = KNOWN[path]
            settings.setdefault(section, {})[key] = conversion(value)
        elif path not in RANKS and (path, value) not in IMPLIED and value is not None:
            unknown.append((path, value))
    ranks(leaves, settings)
    root, name = leaves.get("checkpoint_root_dir", "runs"), leaves.get("name", "learn2ask")
    settings.setdefault("run", {})["directory"] = f"{root}/{name}"
    settings.setdefault("data", {})["system_prompt"] = "inputs/prompts/rollout.txt"
    if "judge" in settings:
        settings["reward"] = {"judge": "model", **settings.get("reward", {})}
        settings["judge"] = {**settings["judge"], "prompt": "inputs/prompts/judge.txt"}
    return settings, unknown


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: from_trinity.py train.yaml > my.ini")
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            document = yaml.safe_load(file)
    except OSError as error:
        sys.exit(f"error: {error}")
    except yaml.YAMLError as error:
        sys.exit(f"error: {sys.argv[1]}: {error}")
    if not isinstance(document, dict):
        sys.exit(f"error: {sys.argv[1]}: holds no settings")
    settings, unknown = convert(document)
    print(f"; made from {sys.argv[1]} of a Trinity-RFT run; check it with learn2ask check")
    for section in SECTIONS:
        if section in settings:
            print(f"\n[{section}]")
            for key, value in settings[section].items():
                print(f"{key} = {value}")
    if unknown:
        print("\n; These have no equivalent here:")
        for path, value in unknown:
            print(f";   {path} = {value}")
            print(f"no equivalent: {path} = {value}", file=sys.stderr)


main()
