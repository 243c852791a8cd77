"""What a WSGI server loads: `gunicorn wsgi:app`."""

import gc

from crm.app import create_app

app = create_app()
# What was loaded lives as long as the process: the collector need not walk through it again at each turn, nor come
# several times in each request.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 10, 10)
