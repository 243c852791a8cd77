"""Runs migrations on the connection that `crm.schema` hands over. Migrations never import models."""

from alembic import context

from crm.app import create_app
from crm.db import Base, Code, UTCDateTime, db
from crm.schema import is_ours

connection = context.config.attributes.get("connection")


def plain_types(kind: str, item: object, _context: object) -> str | bool:
    """Migrations name SQLAlchemy's own types: ours may change, a migration may not."""
    if kind == "type" and isinstance(item, Code):
        return f"sa.String({item.impl_instance.length})"
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run(on: object) -> None:
    context.configure(
        connection=on,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=plain_types,
        include_object=is_ours,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if connection is not None:
    run(connection)
else:  # called by the alembic command, to write a new migration
    app = create_app()
    with app.app_context(), db.engine.connect() as fresh:
        run(fresh)
        fresh.commit()
