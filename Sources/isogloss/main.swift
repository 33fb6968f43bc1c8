print("isogloss")
