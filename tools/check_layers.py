#!/usr/bin/env python3
"""Checks every #include of src/ against the table of ARCHITECTURE.md: who may include whom, and where third-party headers may stand.

Exit status 1 and one line per violation. The table here is the one that src/CMakeLists.txt links by.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"

ALLOWED = {
    "base": set(),
    "weights": {"base"},
    "quant": {"base"},
    "text": {"base"},
    "thinking": {"base"},
    "structured": {"base"},
    "cache": {"base"},
    "logging": {"base"},
    "metrics": {"base"},
    "backend": {"base", "quant"},
    "model": {"base", "quant", "weights", "backend"},
    "engine": {"base", "metrics", "thinking", "structured", "backend", "model"},
    "server": {"base", "logging", "metrics", "text", "thinking", "structured", "cache", "engine"},
    "commands": {"base", "weights", "quant", "text", "thinking", "structured", "cache", "logging", "metrics", "backend", "model",
                 "engine", "server"},
}

# Files of engine/ that stay integers only: no backend, no model.
PURE_ENGINE = {"scheduler", "scheduler_output", "sequence", "block_manager"}

# Third-party headers appear in .cpp files only; these few in one place only.
THIRD_PARTY = re.compile(r"^(boost|nlohmann|yaml-cpp|CLI|prometheus|utf8proc|openssl|xxhash|hiredis)(/|\.|$)")
ONLY_IN = {"boost": "server/http/", "utf8proc": "text/", "CLI": "commands/", "prometheus": "metrics/",
           "hiredis": "server/cache/"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


# tests/x may include what src/x may, and tests/support; these need the files of a model besides.
TESTS = ROOT / "tests"
TESTS_ALSO = {"engine": {"weights"}, "model": {"weights"}, "server": {"model", "weights"}}


def test_violations(path: pathlib.Path) -> list[str]:
    folder = path.relative_to(TESTS).parts[0]
    if folder not in ALLOWED:
        return []
    allowed = ALLOWED[folder] | {folder, "support"} | TESTS_ALSO.get(folder, set())
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        target = match.group(2).split("/")[0] if match and match.group(1) == '"' else None
        if target in ALLOWED and target not in allowed:
            found.append(f"{path.relative_to(ROOT)}:{number}: tests of {folder} may not include {target} ({match.group(2)})")
    return found


def violations(path: pathlib.Path) -> list[str]:
    relative = path.relative_to(SOURCE)
    folder = relative.parts[0] if len(relative.parts) > 1 else "main"
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        kind, name = match.groups()
        where = f"src/{relative}:{number}"
        third_party = THIRD_PARTY.match(name)
        if third_party:
            library = third_party.group(1)
            if path.suffix not in {".cpp", ".cu"}:
                found.append(f"{where}: {name} in a header; third-party headers belong in .cpp files")
            home = ONLY_IN.get(library)
            if home and not (str(relative).startswith(home) or folder == "main"):
                found.append(f"{where}: {name} may be included under {home} only")
            continue
        if kind == "<":
            continue
        target = name.split("/")[0]
        if target not in ALLOWED:
            if "/" not in name:
                found.append(f'{where}: "{name}": write the path from src/')
            continue
        if folder == "main" or target == folder:
            continue
        if target not in ALLOWED.get(folder, set()):
            found.append(f"{where}: {folder} may not include {target} ({name})")
        if folder == "engine" and path.stem in PURE_ENGINE and target in {"backend", "model"}:
            found.append(f"{where}: {path.stem} must stay free of {target}")
    return found


def main() -> int:
    unknown = {p.name for p in SOURCE.iterdir() if p.is_dir()} - set(ALLOWED)
    problems = [f"src/{name}: folder is not in the table of tools/check_layers.py" for name in sorted(unknown)]
    files = sorted(p for p in SOURCE.rglob("*") if p.suffix in {".h", ".cpp", ".inl", ".cu", ".cuh"})
    for path in files:
        problems += violations(path)
    tests = sorted(p for p in TESTS.rglob("*") if p.suffix in {".h", ".cpp"})
    for path in tests:
        problems += test_violations(path)
    for problem in problems:
        print(problem)
    print(f"layers: {len(files) + len(tests)} files, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
