#!/usr/bin/env python3
"""The recipes for Spack and Apptainer fit the build: its options, its libraries, its files.

    test_recipes.py TREE
"""
import importlib.util
import itertools
import pathlib
import re
import sys
import types

# What the build calls a library, and what Spack does.
SPACK_NAMES = {
    "MPI": "mpi", "HDF5": "hdf5", "CURL": "curl", "iniparser": "iniparser", "PkgConfig": "pkgconfig",
    "jansson": "jansson", "libpcre2-8": "pcre2", "libutf8proc": "utf8proc", "libxxhash": "xxhash",
    "cmocka": "cmocka", "CUDAToolkit": "cuda", "nccl.h": "nccl",
}
OF_THE_COMPILER = {"OpenMP", "Threads", "Git"}


class Spec(set):
    """Of a build: '+cuda' and the like."""

    variants = {"cuda_arch": types.SimpleNamespace(value=("80", "90a"))}
    version = "0.1.0"


class Recipe:
    """The few words of Spack's that the recipe uses; what they say is kept."""

    def __init__(self, spec):
        self.spec = spec

    @staticmethod
    def define(name, value):
        if isinstance(value, (list, tuple)):
            value = ";".join(value)
        return f"-D{name}={('OFF', 'ON')[value] if isinstance(value, bool) else value}"

    def define_from_variant(self, name, variant):
        assert variant in SAID["variant"] | {"cuda"}, f"no variant is called {variant}"
        return self.define(name, f"+{variant}" in self.spec)


SAID = {}


def word(name):
    SAID[name] = set()

    def say(first, *_, **options):
        assert set(options) <= {"type", "when", "default", "description", "msg"}, options
        for variant in re.findall(r"\+(\w+)", options.get("when", "")):
            assert variant in SAID["variant"] | {"cuda"}, f"no variant is called {variant}"
        SAID[name].add(first)

    return say


def load(path):
    builtin = "spack_repo.builtin.build_systems"
    words = {name: word(name) for name in ("variant", "version", "license", "depends_on", "requires")}
    modules = {
        "spack_repo": {}, "spack_repo.builtin": {}, builtin: {},
        f"{builtin}.cmake": {"CMakePackage": Recipe, "generator": word("generator")},
        f"{builtin}.cuda": {"CudaPackage": type("CudaPackage", (), {})},
        "spack": {}, "spack.package": words | {"__all__": list(words)},
    }
    for name, members in modules.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("recipe", path)
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    return recipe.Learn2ask


def main(tree):
    packaging = tree / "tools/packaging"
    files = [tree / "CMakeLists.txt", *tree.glob("src/**/CMakeLists.txt"),
             tree / "kernels/cuda/find.cmake"]
    build = "\n".join(file.read_text() for file in files)
    recipe = load(packaging / "spack/spack_repo/learn2ask/packages/learn2ask/package.py")

    options = set(re.findall(r"^(?:option\(|set\()(\w+) .*", build, re.M))
    for variants in itertools.product(("+cuda", "~cuda"), ("+tests", "~tests")):
        for argument in recipe(Spec(variants)).cmake_args():
            name = argument[2:].split("=")[0]
            assert name in options | {"CMAKE_CUDA_ARCHITECTURES"}, f"{name} is no option of the build"
    arguments = recipe(Spec(("+cuda", "~tests"))).cmake_args()
    assert "-DCMAKE_CUDA_ARCHITECTURES=80;90a" in arguments, arguments
    assert "-DBUILD_TESTING=OFF" in arguments and "-DLEARN2ASK_CUDA=ON" in arguments, arguments

    needed = set(re.findall(r"find_package\((\w+)", build)) - OF_THE_COMPILER
    needed |= set(re.findall(r"pkg_check_modules\(\w+ REQUIRED IMPORTED_TARGET ([\w.-]+)", build))
    needed |= set(re.findall(r"find_library\(\w+ ([\w.-]+)", build))
    needed |= set(re.findall(r"find_path\(\w+ ([\w.-]+)", build))
    given = {re.split("[@~ ]", name)[0] for name in SAID["depends_on"]} | {"cuda"}
    assert len(needed) >= 12, f"the build asks for {needed} only"
    for name in needed:
        assert SPACK_NAMES.get(name) in given, f"the recipe for Spack lacks {name}"
    version = re.search(r"project\(learn2ask VERSION ([\d.]+)", build)[1]
    assert version in SAID["version"], f"the recipe for Spack has no version {version}"

    image = (packaging / "learn2ask.def").read_text()
    for name in re.findall(r"^    (\S+) /tree/\S+$", image, re.M):
        assert (tree / name).exists() or name == ".git", f"learn2ask.def copies {name}"
    copied = set(re.findall(r"^    (\S+) /tree/", image, re.M))
    for name in re.findall(r"add_subdirectory\((\w+)", (tree / "CMakeLists.txt").read_text()):
        assert name in copied | {"tests", "benchmarks"}, f"learn2ask.def does not copy {name}"
    for name in set(re.findall(r"\{\{ (\w+) \}\}", image)):
        assert re.search(rf"^    {name}=\S+$", image, re.M), f"learn2ask.def: {name} has no default"


main(pathlib.Path(sys.argv[1]))
