"""What pyproject.toml cannot say: `assets/` is shipped inside the package, as `chatapp/assets/`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["chatapp*"]), "chatapp.assets"],
    package_dir={"chatapp.assets": "assets"},
    package_data={"chatapp": ["py.typed"], "chatapp.assets": ["*.css", "*.svg"]},
)
