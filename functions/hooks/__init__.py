"""Hooks of your own: functions that a mapping names as `hooks.module:function`. See docs/mapping.md."""
