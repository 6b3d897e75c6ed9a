"""From findings and limits to alarms, from alarms to tickets."""
