"""Several receiver processes on one machine, as one command: ``emu-recv --processes N``."""
