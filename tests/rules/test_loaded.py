"""What a web worker holds from its start. Libraries for what few people ask, or for what jobs do, are read when they are asked for."""

import subprocess
import sys

LATER = {"PIL", "apscheduler", "icalendar", "openpyxl", "pypdf", "rapidfuzz", "xlsxwriter"}
LOADED = (
    "import sys; from crm.app import create_app; create_app(); print(*{one.partition('.')[0] for one in sys.modules})"
)


def test_a_web_worker_begins_without_the_libraries_of_jobs_and_files(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CRM_DATABASE_URL", f"sqlite:///{tmp_path / 'crm.sqlite'}")
    loaded = set(subprocess.check_output([sys.executable, "-c", LOADED], text=True).split())
    assert "flask" in loaded
    assert loaded & LATER == set()
