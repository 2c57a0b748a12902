"""What `tocsin install` is made of: the values of the chart, how they are given, and rendering."""
