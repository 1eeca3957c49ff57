"""A rule that follows the forecasts through real bars: fills, costs, funding, risk."""
