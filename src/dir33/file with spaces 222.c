@àô†Àã˜«^J&ûkf4SèNGä0ð{rcàDçIl,'ón$Á,={ÞFGCæ»‡»—ÜLþ±³£–ñÔÔdÇt|é®á‘ßn°T–)
mæèâX“ùhÞd€nsŽJpUÌj