"""Training of the embedded `nano` model: bank -> synth -> train -> evaluate -> export (docs/nano.md)."""
