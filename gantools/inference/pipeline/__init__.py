"""Images from file to file: decoded ahead in processes, put through the network, encoded and written behind it."""
