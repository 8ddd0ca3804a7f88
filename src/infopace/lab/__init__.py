"""The experiments: an ordinary user of the library. `infopace train` starts here."""
