¢ÖÓnáÊl
mùÃjŸ¹yFqùñˆ\°6Ø‹Óg‹¿¡vpWLÆK¤U$¶·„²^™Ñhõ9QDMÕ6XÏÊ‘&UKÖgÅÉqeåQp\Êè±!a'2Ôz~Dç{