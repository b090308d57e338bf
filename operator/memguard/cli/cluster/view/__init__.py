"""How the plugin's results look to people: documents in, rich renderables out. Nothing is read or decided here."""
