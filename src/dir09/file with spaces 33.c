Y
L‰ü%sÃm2š