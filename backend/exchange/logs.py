"""What the processes of an exchange write to stderr, and how."""

import logging
import sys

import structlog


def configure_logging(*, log_format: str, level: str) -> None:
    """Logs to stderr, as text or as JSON lines; libraries only warn."""
    # Plain tracebacks on purpose: local variables in a log would show tokens and keys.
    renderers: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    # Its pool gives a traceback for each connection that it can not make again; whoever needs one tells us.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    # What ClickHouse does not answer is told by whoever asked. Not `urllib3`: its driver sets that on import.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
