"""Chapters: everything that one question uses, one package a question; see :mod:`srlab.study.chapter`."""
