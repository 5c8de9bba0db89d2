"""The command line, ``despina serve | reconcile | doctor | backup | migrate | demo | plan | jobs … | endpoints … | keys … |
audit | completion``. The verbs of jobs and endpoints speak HTTP alone."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from despina.cli import exits
from despina.cli.parsing import Commands, Parser, UsageError, add_verb
from despina.core.errors import DespinaError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status (``exits``). What went wrong is told on standard error, in one line."""
    try:
        options = parser().parse_args(arguments)
        status: int = options.perform(options)
        sys.stdout.flush()
    except UsageError as error:
        print(f"despina: {error}", file=sys.stderr)
        return exits.USAGE
    except DespinaError as error:
        print(f"despina: {error}", file=sys.stderr)
        return exits.ERROR
    except BrokenPipeError:
        # The reader of our output has gone (as in `despina jobs list | head -1`); Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.ERROR
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    return status


def parser() -> Parser:
    """The parser of everything."""
    from despina.cli import audit, backup, completion, endpoints, export, jobs, keys, migrate

    whole = Parser(prog="despina", description="An open, self-hosted Neptune ML.",
                   epilog="'despina COMMAND --help' shows a command; docs/cli.md has them all.")
    whole.add_argument("--version", action="version", version=f"despina {version('despina')}")
    commands: Commands = whole.add_subparsers(title="commands", metavar="COMMAND")

    def show_help(_options: argparse.Namespace) -> int:
        whole.print_help()
        return exits.DONE

    whole.set_defaults(perform=show_help)

    _add_servers(commands)
    migrate.add_arguments(add_verb(
        commands, "migrate", "bring the database to this version, or move it to PostgreSQL",
        description="Bring the database to this version of Despina. With --from, copy everything from an SQLite file into an empty "
                    "PostgreSQL database.",
        example="despina migrate --from despina-data/despina.db --database-url postgresql://despina@db.example.com/despina"))
    backup.add_arguments(add_verb(
        commands, "backup", "copy a data directory whose server need not stop",
        description="Copy the database, the audit log and the certificates of a data directory, consistently, while it is in use.",
        example="despina backup --data-dir /var/lib/despina /backup/monday"))
    _add_tools(commands)
    keys.add_commands(commands.add_parser("keys", help="principals, their policies and access keys",
                                          description="Principals, their policies and access keys, in a data directory."))
    audit.add_arguments(add_verb(commands, "audit", "who asked for what, and what came of it",
                                 description="The audit log of a data directory, the oldest call first.",
                                 example="despina audit --principal alice --since 2026-11-25 --last 20"))
    jobs.add_commands(commands.add_parser("jobs", help="start, list, show, follow and cancel jobs over the API",
                                          description="Start, list, show, follow and cancel jobs over the HTTP API."))
    endpoints.add_commands(commands.add_parser("endpoints", help="create, list, show, ask, update and delete endpoints",
                                               description="Create, list, show, ask, update and delete inference endpoints over "
                                                           "the HTTP API."))
    shells = add_verb(commands, "completion", "the script by which a shell completes all this", example="despina completion bash",
                      description="Print the script by which a shell completes commands, verbs, options and file names. For bash: "
                                  'eval "$(despina completion bash)" in ~/.bashrc.')
    completion.add_arguments(shells)
    shells.set_defaults(perform=lambda options: completion.run(options, parser))
    export.add_commands(commands.add_parser("export", help="export a training job to MLflow",
                                            description="Export training jobs to other tools, over the HTTP API."))
    return whole


def _add_servers(commands: Commands) -> None:
    serve = add_verb(commands, "serve", "serve the API and run the jobs", example="despina serve --data-dir /var/lib/despina")
    _add_serving(serve)
    serve.add_argument("--api-only", action="store_true", help="do not run the jobs: processes of despina reconcile do")
    serve.set_defaults(perform=_serve)

    reconcile = add_verb(commands, "reconcile", "run the jobs without serving the API",
                         description="Run the jobs of a data directory without serving the API.",
                         example="despina reconcile --data-dir /var/lib/despina")
    reconcile.set_defaults(perform=_reconcile)
    doctor = add_verb(
        commands, "doctor", "check everything that a deployment needs, and say what to do",
        description="Check everything that a deployment needs, with the same settings as 'despina serve': settings, data "
                    "directory, disk, clock, limits, database, S3, engine, port, certificate and keys. The exit status is 0 if "
                    "none is an error.",
        example="despina doctor --config despina.toml --location s3://my-bucket/despina")
    _add_serving(doctor)
    doctor.add_argument("--location", metavar="URL", help="write, read and delete a small file below this s3://bucket/prefix")
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    doctor.set_defaults(perform=_doctor)
    for command in (serve, reconcile):
        command.add_argument("--metrics-port", metavar="PORT", help="tell Prometheus metrics there, to whoever asks (nowhere)")
    for command in (serve, reconcile, doctor):
        _add_settings(command)


def _add_serving(command: argparse.ArgumentParser) -> None:
    """How it is served."""
    command.add_argument("--host", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    command.add_argument("--port", metavar="N", help="port to listen on (8182); 0 for any free one")
    command.add_argument("--iam-auth", action="store_true", help="demand signatures of principals that may (see despina keys)")
    command.add_argument("--tls-cert", metavar="FILE", help="serve HTTPS with this certificate (PEM); SIGHUP has it read anew")
    command.add_argument("--tls-key", metavar="FILE", help="the certificate's key (PEM)")
    command.add_argument("--tls-self-signed", action="store_true", help="serve HTTPS with a certificate made for development")


def _add_tools(commands: Commands) -> None:
    demo = add_verb(commands, "demo", "the whole round on a real graph, through boto3", example="despina demo",
                    description="Serve on a free port and, through boto3 alone, process the air-routes graph, train on it, list "
                                "the jobs, and cancel a second training with clean.")
    demo.add_argument("--data-dir", metavar="DIR", help="where to keep everything (a temporary directory, removed at the end)")
    demo.add_argument("--export", metavar="DIR", help="the export to use (examples/air-routes)")
    demo.set_defaults(perform=_demo)

    plan = add_verb(commands, "plan", "what an export holds, and the memory, disk and time it will take",
                    example="despina plan examples/air-routes",
                    description="Look at the sizes and first rows of an export's files, without a server: what it holds, what "
                                "processing and training take here, and what they would be refused for.")
    plan.add_argument("export", metavar="EXPORT", help="its folder, or its s3:// or file:// location")
    plan.add_argument("--config-file-name", metavar="NAME", default="training-data-configuration.json",
                      help="its configuration (training-data-configuration.json)")
    plan.add_argument("--data-dir", metavar="DIR", help="where jobs would be kept (./despina-data)")
    plan.add_argument("--json", action="store_true", help="print everything as JSON")
    plan.set_defaults(perform=_plan)


def _add_settings(command: argparse.ArgumentParser) -> None:
    """What all take that work on a deployment itself."""
    command.add_argument("--data-dir", metavar="DIR", help="where jobs and files are kept (./despina-data)")
    command.add_argument("--database-url", metavar="URL", help="where jobs are kept (a file in the data directory)")
    command.add_argument("--engine", metavar="URL", help="what runs the programs: local, or ray://HOST:PORT (local)")
    command.add_argument("--config", metavar="FILE", help="a despina.toml")


def _serve(options: argparse.Namespace) -> int:
    from despina import app, settings

    return app.run(lambda: app.serve(settings.load(vars(options)), reconciling=not options.api_only,
                                     ready=lambda url: print(f"Despina serves at {url}", flush=True)), os.environ)


def _reconcile(options: argparse.Namespace) -> int:
    from despina import app, settings

    return app.run(lambda: app.reconcile(settings.load(vars(options)), ready=lambda: print("Despina reconciles", flush=True)),
                   os.environ)


def _doctor(options: argparse.Namespace) -> int:
    from despina.cli import doctor

    return doctor.run(options)


def _demo(options: argparse.Namespace) -> int:
    from despina.cli import demo

    return demo.run(export=Path(options.export) if options.export else None,
                    data_dir=Path(options.data_dir) if options.data_dir else None)


def _plan(options: argparse.Namespace) -> int:
    from despina.cli import plan

    return plan.run(options)
