-- Times of records as text: ISO 8601 in UTC with milliseconds, "2026-05-04T03:02:01.250Z". Such
-- texts are in the order of their times.

-- The text of a time in ms since the epoch. The date is that of the proleptic Gregorian calendar,
-- counted from March, so that the leap day is the last of its year.
local function iso8601(ms)
  local days = math.floor(ms / 86400000)
  local rest = ms - days * 86400000
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local day_of_era = shifted - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460)
    + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era
    - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local from_march = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * from_march + 2) / 5) + 1
  local month = from_march < 10 and from_march + 3 or from_march - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60,
    rest % 1000)
end

-- The text of a record's timestamp. Records of the formats 1 and 2 have it in ms.
local function timestamp_text(timestamp)
  if string.match(timestamp, '^%d+$') then return iso8601(tonumber(timestamp)) end
  return timestamp
end
