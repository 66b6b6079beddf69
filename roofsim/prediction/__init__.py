"""One request on one device with one runtime: what is asked, what comes out, and how sure it is."""
