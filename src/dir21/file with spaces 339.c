uÃõ8üt<å
sY«