"""Pages of `docs/` that say what the code says: `python -m roofsim.reports.docs [--check]` writes or checks them."""
