"""Documents that people attach: what is accepted, how it is checked, where it lies, and who may never read it."""
