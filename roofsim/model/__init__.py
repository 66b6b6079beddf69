"""What a network computes and keeps."""
