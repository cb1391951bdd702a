"""What pyproject.toml cannot say: the configs at the top of the repository go into the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONFIGS = Path(__file__).parent / "configs"


class BuildWithConfigs(build_py):
    """Builds the package as usual, and copies the configs beside its modules."""

    def run(self) -> None:
        """Build; an editable install has the configs where they are."""
        super().run()
        if not self.editable_mode:
            shutil.copytree(CONFIGS, Path(self.build_lib) / "dlx" / "configs", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigs})
