"""A directory of cases: files that somebody has written, and beside them what is in them.

    DIR/cases.json            the list of all cases, for those who run them
    DIR/NAME/expected.json    what one case holds: see `canon.py`
    DIR/NAME/…                its files
"""

import json
import pathlib

import canon


class Suite:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.cases = []

    def place(self, name):
        """The directory of a case, made."""
        place = self.directory / name
        place.mkdir(parents=True)
        return place

    def add(self, name, format_, path, table, loose=False, copies=(), setup=(), query="SELECT * FROM '{path}'"):
        """Says what the files of a case hold. `path` is below the case's directory and may be a file, a directory (it ends
        with a slash) or a pattern. `setup` and `query` are statements with {path} for all of it. Copies are the formats that
        the rows are written to and read back from. Loose are formats of text, and columns whose type nobody has written."""
        columns = canon.columns(table, loose)
        expected = {
            "name": name,
            "format": format_,
            "path": f"{name}/{path}",
            "loose": loose,
            "rows": table.num_rows,
            "columns": table.column_names,
            **({} if loose else {"kinds": {field.name: canon.kind(field.type) for field in table.schema}}),
            **canon.content(columns, table.num_rows),
        }
        (self.directory / name / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1))
        case = {"name": name, "format": format_, "path": f"{name}/{path}", "query": query}
        self.cases.append({**case, "setup": list(setup), "copies": list(copies)})

    def finish(self):
        names = [case["name"] for case in self.cases]
        assert len(names) == len(set(names)), "two cases have one name"
        (self.directory / "cases.json").write_text(json.dumps(self.cases, indent=1))
