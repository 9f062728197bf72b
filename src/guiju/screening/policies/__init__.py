"""Policies and banks of approved answers as versions: drafted, reviewed by a second person, in force, retired."""
