"""What a network sees: feature maps, filters, Grad-CAM."""
