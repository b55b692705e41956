# SPDX-License-Identifier: Apache-2.0
"""Calls with something wrong, and calls with nothing wrong, each with what `explain` is to say of every row."""
