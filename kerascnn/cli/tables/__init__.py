"""What the commands show: tables that fit the terminal."""
