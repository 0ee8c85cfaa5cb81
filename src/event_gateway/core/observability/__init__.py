"""Pure rules of what the gateway says about itself: health and alerts."""
