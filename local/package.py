"""Zip `functions/` for `CodeUri`: python -m local.package <file>

The same sources give the same bytes, so that deploying twice changes nothing.
"""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_EPOCH = (1980, 1, 1, 0, 0, 0)


def sources(folder: Path) -> list[Path]:
    """Everything below a folder that is not made by running it or a tool's own, sorted."""
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not _is_made(path.relative_to(folder))
    )


def _is_made(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def zip_functions(target: Path) -> None:
    functions = ROOT / "functions"
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sources(functions):
            entry = zipfile.ZipInfo(path.relative_to(functions).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    zip_functions(Path(sys.argv[1]))
