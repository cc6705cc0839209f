"""How many more images a wished accuracy takes, and which ones to label next."""
