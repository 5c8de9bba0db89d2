"""Small trees of files."""

from pathlib import Path


def tree(folder: Path, contents: dict[str, str]) -> Path:
    """Write files below a folder; gives the folder."""
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
