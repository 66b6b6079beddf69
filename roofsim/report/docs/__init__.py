"""The pages of `docs/` that say what the code says: `python -m roofsim.report.docs [--check]` writes or checks them."""
