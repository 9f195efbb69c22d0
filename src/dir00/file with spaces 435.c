8¬º.•ÇU"%Ìu›i¡h½i²¶sÀây)C”ŽXËj9u"Ó
›çr«5iqg–Tn·N hÆ¹]ÆZ›CºB“86¥‡f±÷bÇyÔÆ.Ä‹UTå;ZIV¿