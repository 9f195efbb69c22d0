>îÐ‚#z9Dùõi›k¡Õnw¢4µ]QHtëÎ¿w·Ÿ¿×Æµ‘û€ÊCYky¢öZÆPøju0©„Î•
^^=skûÜ´kÍxÁveµ¯Ü?d¼•e ‰?wáLŽgsMÞ