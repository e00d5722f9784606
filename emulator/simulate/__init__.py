"""emu-simulate: an observation that nobody made, as a Measurement Set.

`arrays` says where antennas stand, `sky` what they see, `observation` when and how they look,
`imperfections` what goes wrong; `generate` writes it all down and `app` is the command.
"""
