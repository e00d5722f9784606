"""emu-send: a Measurement Set as a correlator would send it."""
