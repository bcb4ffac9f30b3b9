# package.py - learn2ask for Spack 1.0 or later, built from the tree that this file belongs to:
#
#     spack repo add tools/packaging/spack/spack_repo/learn2ask
#     spack dev-build learn2ask@0.1.0 +cuda cuda_arch=90a     # in the tree's first directory
from spack_repo.builtin.build_systems.cmake import CMakePackage, generator
from spack_repo.builtin.build_systems.cuda import CudaPackage

from spack.package import *


class Learn2ask(CMakePackage, CudaPackage):
    """Trains a language model to ask the next question, from expert conversations: GRPO and its
    relatives over MPI, from and to Hugging Face directories."""

    license("MIT")

    version("0.1.0")

    variant("tests", default=False, description="Build the tests and the benchmarks")

    generator("ninja")

    depends_on("c", type="build")
    depends_on("cxx", type="build", when="+cuda")
    depends_on("cxx", type="build", when="+tests")
    depends_on("cmake@3.25:", type="build")
    depends_on("gzip", type="build")
    depends_on("pkgconfig", type="build")

    depends_on("mpi")
    depends_on("hdf5@1.10: ~mpi")
    depends_on("curl@7.85:")
    depends_on("iniparser@4.1:")
    depends_on("jansson@2.13:")
    depends_on("pcre2")
    depends_on("utf8proc")
    depends_on("xxhash@0.8:")
    depends_on("nccl", when="+cuda")
    depends_on("cmocka", when="+tests")

    requires("%gcc", msg="rounding and speed are tested with GCC")
    requires("platform=linux", msg="it reads /proc and shares memory in /dev/shm")

    sanity_check_is_file = ["bin/learn2ask", "bin/l2a-convert", "share/man/man1/learn2ask.1.gz"]

    def cmake_args(self):
        args = [
            self.define_from_variant("LEARN2ASK_CUDA", "cuda"),
            self.define_from_variant("BUILD_TESTING", "tests"),
        ]
        architectures = self.spec.variants["cuda_arch"].value if "+cuda" in self.spec else ()
        if architectures and "none" not in architectures:
            args.append(self.define("CMAKE_CUDA_ARCHITECTURES", list(architectures)))
        return args

    def test_version(self):
        """The program starts and tells its version."""
        learn2ask = which(self.prefix.bin.learn2ask, required=True)
        told = learn2ask("--version", output=str.split, error=str.split)
        assert told.strip() == f"learn2ask {self.spec.version}"
