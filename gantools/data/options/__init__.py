"""Settings of data sets and of what they do to photos. Nothing here imports torch, numpy or cv2."""
