"""What memguard is made of, and how anybody can tell: lock, licences, bills of materials, audit, release."""
