"""Approved answers (标准答案库): questions that are answered from a bank that people reviewed, before any model is asked."""
