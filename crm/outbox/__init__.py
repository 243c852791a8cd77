"""Messages we owe people: written in the transaction of the fact that causes them, sent by the worker."""
